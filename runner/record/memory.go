package record

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// Memory is a Store for tests: encoded like a ConfigMap, so that whatever does not survive there does not survive here.
type Memory struct {
	// Encoder as in a ConfigMap store.
	Encoder Encoder
	// Before and After, if set, are called around every Save with its number, from 1. An error from Before is returned and
	// nothing is stored; one from After is returned although it was: how a killed runner or a lost answer looks.
	Before, After func(save int, r *Record) error

	mu     sync.Mutex
	data   map[string]string
	saves  int
	cancel *string
	asked  chan struct{}
}

// NewMemory is a store that holds r, or nothing if r is nil.
func NewMemory(r *Record) (*Memory, error) {
	m := &Memory{}

	if r == nil {
		return m, nil
	}

	data, err := m.Encoder.Encode(context.Background(), r, 0)
	m.data = data

	return m, err
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context) (*Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.data == nil {
		return nil, ErrNotFound
	}

	r, err := Decode(&corev1.ConfigMap{Data: m.data})
	if err != nil {
		return nil, err
	}

	return r, m.Encoder.Resolve(ctx, r)
}

// Save implements Store.
func (m *Memory) Save(ctx context.Context, r *Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.saves++

	if m.Before != nil {
		if err := m.Before(m.saves, r); err != nil {
			return err
		}
	}

	if m.data != nil {
		stored, err := Decode(&corev1.ConfigMap{Data: m.data})
		if err != nil {
			return err
		}

		if err := CheckSuccession(stored, r); err != nil {
			return err
		}
	}

	data, err := m.Encoder.Encode(ctx, r, othersSize(m.data))
	if err != nil {
		return err
	}

	m.data = merge(m.data, data)

	if m.After != nil {
		return m.After(m.saves, r)
	}

	return nil
}

// Saves tells how many times Save was called.
func (m *Memory) Saves() int {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.saves
}

// RequestCancel is what `cancel RUN` does.
func (m *Memory) RequestCancel(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.cancel == nil {
		m.cancel = &reason
		close(m.channel())
	}
}

func (m *Memory) channel() chan struct{} {
	if m.asked == nil {
		m.asked = make(chan struct{})
	}

	return m.asked
}

// CancelRequested implements Store.
func (m *Memory) CancelRequested(ctx context.Context) (string, error) {
	m.mu.Lock()
	asked := m.channel()
	m.mu.Unlock()

	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-asked:
		m.mu.Lock()
		defer m.mu.Unlock()

		return *m.cancel, nil
	}
}
