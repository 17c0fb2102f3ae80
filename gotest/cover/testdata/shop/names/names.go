package names

const Currency = "EUR"
