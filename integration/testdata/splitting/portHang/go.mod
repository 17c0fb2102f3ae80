module example.com/portHang

go 1.26.0
