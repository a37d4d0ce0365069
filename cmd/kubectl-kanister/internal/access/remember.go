package access

import (
	"context"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Remember asks r each question only once. It is for one command, not for a process that lives.
func Remember(r Reviewer) Reviewer {
	return &memory{Reviewer: r, rules: map[string]heldRules{}, allowed: map[authorizationv1.ResourceAttributes]bool{}}
}

type heldRules struct {
	rules    []rbacv1.PolicyRule
	complete bool
}

type memory struct {
	Reviewer

	mu      sync.Mutex
	rules   map[string]heldRules
	allowed map[authorizationv1.ResourceAttributes]bool
}

func (m *memory) Rules(ctx context.Context, namespace string) ([]rbacv1.PolicyRule, bool, error) {
	m.mu.Lock()
	held, known := m.rules[namespace]
	m.mu.Unlock()

	if known {
		return held.rules, held.complete, nil
	}

	rules, complete, err := m.Reviewer.Rules(ctx, namespace)
	if err != nil {
		return nil, false, err
	}

	m.mu.Lock()
	m.rules[namespace] = heldRules{rules, complete}
	m.mu.Unlock()

	return rules, complete, nil
}

func (m *memory) Allowed(ctx context.Context, what authorizationv1.ResourceAttributes) (bool, error) {
	m.mu.Lock()
	allowed, known := m.allowed[what]
	m.mu.Unlock()

	if known {
		return allowed, nil
	}

	allowed, err := m.Reviewer.Allowed(ctx, what)
	if err != nil {
		return false, err
	}

	m.mu.Lock()
	m.allowed[what] = allowed
	m.mu.Unlock()

	return allowed, nil
}
