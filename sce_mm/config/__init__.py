"""Will this config work? Reading, checking and finding its parts."""
