# Lists a Makefile's targets: "##@ Group" lines are headings, "target: ... ## text" lines are entries.
BEGIN { FS = ":.*## "; print "Usage: make <target>" }
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^[a-z-]+:.*## / { printf "  %-17s %s\n", $1, $2 }
