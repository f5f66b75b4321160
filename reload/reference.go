package reload

import (
	"path/filepath"
	"reflect"
	"strings"
)

// marker stands for the release's folder while a configuration is searched for paths: upstream's own
// SetDirectory puts it before every relative path that the server resolves, so no list of the keys that hold paths is
// needed here and none can be forgotten. It is many levels deep, so that a path that climbs out is recognised too.
const (
	markerRoot = "/\u2063stoker"
	marker     = markerRoot + "/r/r/r/r/r/r/r/r/r/r/r/r/r/r/r/r"
)

// relativePaths returns every relative path that a configuration mentions, after its directory was set to
// the marker: slash-separated, cleaned, perhaps a pattern, perhaps climbing out by "..".
func relativePaths(cfg any) []string {
	var found []string
	seen := map[string]bool{}
	walkValues(reflect.ValueOf(cfg), func(v reflect.Value) {
		if v.Kind() != reflect.String {
			return
		}
		rel, ok := relative(v.String())
		if ok && !seen[rel] {
			seen[rel] = true
			found = append(found, rel)
		}
	})
	return found
}

// relative undoes the marker.
func relative(p string) (string, bool) {
	if p != markerRoot && !strings.HasPrefix(p, markerRoot+"/") {
		return "", false
	}
	rel, err := filepath.Rel(marker, p)
	return filepath.ToSlash(rel), err == nil
}

// walkValues visits every value that is reachable through exported fields, once a pointer.
func walkValues(v reflect.Value, visit func(reflect.Value)) { walkWithin(v, nil, visit) }

// walkPointers visits every pointer to a T that is reachable through exported fields, once, and passes over what can't
// hold one: most of a configuration with thousands of routes and receivers.
func walkPointers[T any](v reflect.Value, visit func(*T)) {
	holders := holders{of: reflect.TypeFor[T](), known: map[reflect.Type]bool{}}
	walkWithin(v, holders.holds, func(v reflect.Value) {
		if v.Kind() == reflect.Pointer && v.CanInterface() {
			if p, ok := v.Interface().(*T); ok {
				visit(p)
			}
		}
	})
}

// walkWithin visits what is reachable and of a type that holds allows; nil allows all.
func walkWithin(v reflect.Value, holds func(reflect.Type) bool, visit func(reflect.Value)) {
	seen := map[uintptr]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		if holds != nil && !holds(v.Type()) {
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
			visit(v)
			walk(v.Elem())
		case reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Field(i); f.CanInterface() && !f.IsZero() {
					walk(f)
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for it := v.MapRange(); it.Next(); {
				walk(it.Value())
			}
		case reflect.String:
			visit(v)
		}
	}
	if v.IsValid() {
		walk(v)
	}
}

// holders knows which types can hold a value of one, through exported fields.
type holders struct {
	of    reflect.Type
	known map[reflect.Type]bool
}

func (h holders) holds(t reflect.Type) bool {
	holds, ok := h.known[t]
	if !ok {
		holds = h.search(t, map[reflect.Type]bool{})
		h.known[t] = holds
	}
	return holds
}

func (h holders) search(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == h.of || t.Kind() == reflect.Interface { // there may be anything in it
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return h.search(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && h.search(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// walkFields visits every text in a configuration with the YAML key that it stands under: for the entries of a list
// or mapping, that of the list or mapping.
func walkFields(cfg any, visit func(key string, v reflect.Value)) {
	seen, fields := map[uintptr]bool{}, yamlFields{}
	var walk func(key string, v reflect.Value)
	walk = func(key string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && !seen[v.Pointer()] {
				seen[v.Pointer()] = true
				walk(key, v.Elem())
			}
		case reflect.Interface:
			if !v.IsNil() {
				walk(key, v.Elem())
			}
		case reflect.Struct:
			for _, f := range fields.of(v.Type()) {
				switch field := v.Field(f.index); {
				case field.IsZero(): // as most fields of a receiver are
				case f.key == "":
					walk(key, field)
				default:
					walk(f.key, field)
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(key, v.Index(i))
			}
		case reflect.Map:
			for it := v.MapRange(); it.Next(); {
				walk(key, it.Value())
			}
		case reflect.String:
			visit(key, v)
		}
	}
	walk("", reflect.ValueOf(cfg))
}

// yamlFields remembers the exported fields of structs by their YAML keys: reading the tags takes most of the time of
// a walk.
type yamlFields map[reflect.Type][]yamlField

// yamlField is a field of a struct; its key is "" if it is merged into the struct or isn't read from YAML.
type yamlField struct {
	index int
	key   string
}

func (y yamlFields) of(t reflect.Type) []yamlField {
	if fields, ok := y[t]; ok {
		return fields
	}
	fields := []yamlField{}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "-" || strings.Contains(options, "inline") {
			key = ""
		}
		fields = append(fields, yamlField{i, key})
	}
	y[t] = fields
	return fields
}
