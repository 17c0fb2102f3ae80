package shard

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
)

// slack is how much more than the even share a part may have, so that what is added pushes little
// aside.
const slack = 1.1

// byHash gives each atom to the part that its name chooses, or when that is full to the next one
// that it would choose. Packages that are small beside the parts stay in one.
func (d *division) byHash() {
	total := 0
	for _, a := range d.atoms {
		total += len(a.items)
	}
	// A power of two, so that it changes rarely as the suite grows.
	small := 1
	for small*2*4*d.n <= total {
		small *= 2
	}
	var lots []*lot
	of := make(map[int]*lot) // by small package
	for _, a := range d.atoms {
		if len(d.packages[a.pkg].Items) > small {
			lots = append(lots, &lot{key: a.key, atoms: []*atom{a}, size: len(a.items)})
			continue
		}
		l := of[a.pkg]
		if l == nil {
			l = &lot{key: d.packages[a.pkg].ImportPath}
			of[a.pkg] = l
			lots = append(lots, l)
		}
		l.atoms = append(l.atoms, a)
		l.size += len(a.items)
	}
	for _, l := range lots {
		l.rank = hash(l.key)
	}
	slices.SortFunc(lots, func(a, b *lot) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.key, b.key)) })
	d.deal(lots, int(slack*float64(total)/float64(d.n))+1)
}

// lot is some atoms that a hash gives to one part.
type lot struct {
	key   string
	rank  uint64
	atoms []*atom
	size  int // items
}

// deal gives out lots so that no part has more than room items, where that is possible.
func (d *division) deal(lots []*lot, room int) {
	load := make([]int, d.n)
	for _, l := range lots {
		wanted := rendezvous(l.key, d.n)
		part := -1
		for _, k := range wanted {
			if load[k]+l.size <= room {
				part = k
				break
			}
		}
		if part < 0 {
			part = slices.Index(load, slices.Min(load))
		}
		load[part] += l.size
		for _, a := range l.atoms {
			a.part = part
		}
	}
}

// rendezvous returns the parts in the order in which key wants them. The order of n parts is that
// of n+1 without the new one.
func rendezvous(key string, n int) []int {
	parts := make([]int, n)
	score := make([]uint64, n)
	for k := range parts {
		parts[k] = k
		score[k] = hash(strconv.Itoa(k) + "\x00" + key)
	}
	slices.SortFunc(parts, func(a, b int) int { return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(a, b)) })
	return parts
}

func hash(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.LittleEndian.Uint64(sum[:])
}
