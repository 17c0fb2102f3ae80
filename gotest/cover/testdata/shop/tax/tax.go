package tax

func On(price int) int {
	if price > 60 {
		return price + price/10
	}
	return Reduced(price)
}

func Reduced(price int) int { return price + price/10 }

func Unused() bool { return true }
