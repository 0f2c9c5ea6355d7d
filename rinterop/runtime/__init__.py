"""Running R code: `base` is the interface, `embedded` an R inside this process, `locate` finds R."""
