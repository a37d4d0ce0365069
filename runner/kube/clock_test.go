package kube

import (
	"time"

	"k8s.io/utils/clock"
)

// hurried is a real clock whose timers run a hundred times as fast, so that waits between tries do not slow tests down.
type hurried struct{ clock.RealClock }

func (hurried) NewTimer(d time.Duration) clock.Timer { return clock.RealClock{}.NewTimer(d / 100) }
