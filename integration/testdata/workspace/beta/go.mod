module example.com/beta

go 1.26.0

require example.com/alpha v0.0.0
