"""What is measured, and beside what: a running hitok, a bare handler, an echo; and what their processes use."""
