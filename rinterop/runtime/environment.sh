# Started by R's front end in place of R (locate.py): prints the environment that R would have.
printf '\0'
exec env -0
