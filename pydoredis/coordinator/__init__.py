"""The coordinator: what submits a loop, collects its results and makes one value of them."""
