"""The state bucket and who CI is: a lost state and a stolen pipeline are the two ways to lose everything at once."""

import re
from collections.abc import Iterator

from infra.check.plan import Plan, RuleBook

BOOK = RuleBook()
_CONDITION = re.compile(
    r'assertion\.repository == "[\w.-]+/[\w.-]+" && assertion\.repository_owner_id == "\d+" && '
    r'\(assertion\.ref == "refs/heads/[\w.-]+" \|\| assertion\.ref\.matches\("\^refs/pull/\[0-9\]\+/merge\$"\)\)'
)
_READS = {"roles/browser", "roles/viewer", "roles/iam.securityReviewer"}


@BOOK.on("bootstrap")
def state_is_kept_and_private(plan: Plan) -> Iterator[str]:
    buckets = plan.of("google_storage_bucket")
    if not buckets:
        yield "state: there is no bucket"
    for bucket in buckets:
        if bucket.get("versioning.enabled") is not True:
            yield f"{bucket.address}: a spoilt state could not be taken back (versioning)"
        if (
            bucket.values.get("uniform_bucket_level_access") is not True
            or bucket.values.get("public_access_prevention") != "enforced"
        ):
            yield f"{bucket.address}: single objects could be made public"
        if bucket.values.get("force_destroy"):
            yield f"{bucket.address}: force_destroy would delete the states with it"


@BOOK.on("bootstrap")
def only_our_repository_comes_in(plan: Plan) -> Iterator[str]:
    providers = plan.of("google_iam_workload_identity_pool_provider")
    if not providers:
        yield "CI: there is no workload identity provider"
    for provider in providers:
        condition = provider.values.get("attribute_condition") or ""
        for claim, why in {
            "assertion.repository ==": "every repository on GitHub may come in",
            "assertion.repository_owner_id ==": "whoever takes over the owner's name may come in",
            "assertion.ref": "every branch may come in",
        }.items():
            if claim not in condition:
                yield f"{provider.address}: its condition lacks {claim}: {why}"
        if condition and not _CONDITION.fullmatch(condition):
            yield f"{provider.address}: its condition is not the agreed one (repository, owner's id, branch or pull request): {condition}"
        if provider.get("oidc.issuer_uri") != "https://token.actions.githubusercontent.com":
            yield f"{provider.address}: trusts another issuer than GitHub"


@BOOK.on("bootstrap")
def planning_only_reads(plan: Plan) -> Iterator[str]:
    for grant in plan.of("google_project_iam_member"):
        if "tandem-ci-plan@" in grant.values["member"] and grant.values["role"] not in _READS:
            yield f"{grant.address}: planning needs to read, not {grant.values['role']}"
    for grant in plan.of("google_storage_bucket_iam_member"):
        if (
            "tandem-ci-plan@" in grant.values["member"]
            and grant.values["role"] != "roles/storage.objectViewer"
        ):
            yield f"{grant.address}: planning could write the state"


@BOOK.on("bootstrap")
def applying_is_limited(plan: Plan) -> Iterator[str]:
    for grant in plan.of("google_project_iam_member"):
        if grant.values["role"] in {"roles/owner", "roles/editor"}:
            yield f"{grant.address}: {grant.values['role']} is everything"
        if grant.values["role"] == "roles/resourcemanager.projectIamAdmin" and "hasOnly(" not in (
            grant.get("condition.expression") or ""
        ):
            yield f"{grant.address}: could grant itself everything"
        if not grant.values["member"].startswith(
            ("serviceAccount:tandem-ci-plan@", "serviceAccount:tandem-ci-apply@")
        ):
            yield f"{grant.address}: {grant.values['member']} is not one of CI's two identities"
    for grant in plan.of("google_service_account_iam_member"):
        if "apply" in grant.address and not (
            "/attribute.deploys/" in grant.values["member"] and "@refs/heads/" in grant.values["member"]
        ):
            yield f"{grant.address}: applying is not bound to one branch and one environment"
