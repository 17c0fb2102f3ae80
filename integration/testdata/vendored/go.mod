module example.com/vendored

go 1.26.0

require example.com/gamma v1.2.3
