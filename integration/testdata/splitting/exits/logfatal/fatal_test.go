// Package logfatal has a test in the middle that ends the process by log.Fatal.
package logfatal

import (
	"log"
	"testing"
	"time"
)

func work(t *testing.T) { time.Sleep(10 * time.Millisecond) }

func Test01(t *testing.T) { work(t) }
func Test02(t *testing.T) { work(t) }
func Test03(t *testing.T) { work(t) }
func Test04(t *testing.T) { work(t) }
func Test05(t *testing.T) { work(t) }

func TestFatal(t *testing.T) { log.Fatal("that is the end") }

func Test06(t *testing.T) { work(t) }
func Test07(t *testing.T) { work(t) }
func Test08(t *testing.T) { work(t) }
func Test09(t *testing.T) { work(t) }
func Test10(t *testing.T) { work(t) }
