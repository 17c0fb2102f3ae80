module example.com/portSkip

go 1.26.0
