mock_provider "google" {}

variables {
  billing_account       = "ABCDEF-012345-6789AB"
  project_number        = "123456789012"
  name                  = "tandem"
  monthly_amount        = 800
  notification_channels = ["projects/tandem-test/notificationChannels/1"]
}

run "warns_at_half_at_nine_tenths_at_all_and_ahead" {
  command = plan

  assert {
    condition     = [for rule in google_billing_budget.this.threshold_rules : "${rule.threshold_percent} ${rule.spend_basis}"] == ["0.5 CURRENT_SPEND", "0.9 CURRENT_SPEND", "1 CURRENT_SPEND", "1 FORECASTED_SPEND"]
    error_message = "A warning is missing."
  }

  assert {
    condition     = google_billing_budget.this.budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "Other projects' costs are counted."
  }
}

run "account_in_another_form_is_refused" {
  command = plan

  variables {
    billing_account = "billingAccounts/ABCDEF-012345-6789AB"
  }

  expect_failures = [var.billing_account]
}

run "fraction_is_refused" {
  command = plan

  variables {
    monthly_amount = 0.5
  }

  expect_failures = [var.monthly_amount]
}

run "telling_nobody_is_refused" {
  command = plan

  variables {
    notification_channels = []
  }

  expect_failures = [var.notification_channels]
}
