// Package shop has code of which its two tests run different, overlapping parts.
package shop

import "example.com/shop/tax"

type Cart struct{ items []int }

func (c *Cart) Add(price int) *Cart {
	if price < 0 {
		panic("negative price")
	}
	c.items = append(c.items, price)
	return c
}

func (c *Cart) Total(discount func(int) int) int {
	sum := 0
	for _, price := range c.items {
		if discount != nil {
			price = discount(price)
		}
		sum += tax.On(price)
	}
	switch {
	case sum > 1000:
		return sum - 50
	case sum == 0:
		return 0
	default:
		return sum
	}
}

var prices = list(3)

func list(n int) (prices []int) {
	for i := range n {
		prices = append(prices, i)
	}
	return prices
}

func init() { prices = append(prices, 7) }

func (c *Cart) Close() { c.items = nil }

func Half() func(int) int { return func(price int) int { return price / 2 } }

func Never() string {
	defer func() { recover() }()
	return "never"
}
