package state

// recent remembers values by key, at most twice as many as put is told to keep: when that
// many are in the younger half, the older half is forgotten. The zero value is empty.
type recent[K comparable, V any] struct {
	young, old map[K]V
}

func (r *recent[K, V]) get(key K) (V, bool) {
	v, ok := r.young[key]
	if !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V, keep int) {
	if len(r.young) >= keep {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = make(map[K]V)
	}
	delete(r.old, key)
	r.young[key] = v
}

func (r *recent[K, V]) remove(key K) {
	delete(r.young, key)
	delete(r.old, key)
}
