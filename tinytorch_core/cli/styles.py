"""The colour of each word that names a state. The word is always there: colour alone says nothing."""

STYLES = dict.fromkeys(("passed", "complete", "ok", "earned", "ships", "fetched"), "green")
STYLES |= dict.fromkeys(("available", "checking"), "cyan")
STYLES |= dict.fromkeys(("failed", "problem", "missing"), "red")
STYLES |= dict.fromkeys(("error", "cancelled", "interrupted", "edited", "unfinished"), "yellow")
STYLES |= dict.fromkeys(("not_attempted", "locked", "coming", "absent"), "dim")
