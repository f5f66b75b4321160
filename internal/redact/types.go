package redact

import (
	"errors"
	"reflect"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/plugins" // every service discovery that a file may mention
	"go.yaml.in/yaml/v3"
)

// types answers questions about upstream's configuration types, and remembers the answers.
type types struct {
	hiding map[reflect.Type]bool
	reach  map[reflect.Type]bool
	shapes map[reflect.Type]shape
}

func newTypes() *types {
	return &types{hiding: map[reflect.Type]bool{}, reach: map[reflect.Type]bool{}, shapes: map[reflect.Type]shape{}}
}

// hides reports whether upstream prints <secret> in place of a value of this type.
func (ts *types) hides(t reflect.Type) bool {
	hides, known := ts.hiding[t]
	if !known {
		hides = printsSecret(t)
		ts.hiding[t] = hides
	}
	return hides
}

// printsSecret tries it: it reads a value that suits every kind of secret, a URL, and has it printed.
func printsSecret(t reflect.Type) (hides bool) {
	defer func() {
		if recover() != nil {
			hides = true // whatever it is, it isn't for us to show
		}
	}()
	v := reflect.New(t)
	if _, prints := v.Interface().(yaml.Marshaler); !prints {
		return false
	}
	if yaml.Unmarshal([]byte("https://secret.invalid/secret"), v.Interface()) != nil {
		return false
	}
	printed, err := yaml.Marshal(v.Interface())
	return err == nil && strings.Contains(string(printed), "<secret>")
}

// mayHide reports whether something below a value of this type may be hidden. What can hold anything may.
func (ts *types) mayHide(t reflect.Type) bool {
	may, known := ts.reach[t]
	if known {
		return may
	}
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		if may || seen[t] {
			return
		}
		seen[t] = true
		if ts.hides(t) {
			may = true
			return
		}
		switch t.Kind() {
		case reflect.Interface:
			may = true
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			visit(t.Elem())
		case reflect.Struct:
			s := ts.shape(t)
			for _, f := range s.fields {
				visit(f)
			}
			if s.rest != nil {
				visit(s.rest)
			}
		}
	}
	visit(t)
	ts.reach[t] = may
	return may
}

// shape is the keys of a struct in YAML with the types of their values, and the type of the values under any other
// key; nil if there is to be none.
type shape struct {
	fields map[string]reflect.Type
	rest   reflect.Type
}

func (ts *types) shape(t reflect.Type) shape {
	if s, known := ts.shapes[t]; known {
		return s
	}
	s := shape{fields: map[string]reflect.Type{}}
	for i := range withServiceDiscovery(t).NumField() {
		f := withServiceDiscovery(t).Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case strings.Contains(options, "inline") && f.Type.Kind() == reflect.Map:
			s.rest = f.Type.Elem()
		case strings.Contains(options, "inline"):
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			is := ts.shape(inner)
			for key, ft := range is.fields {
				s.fields[key] = ft
			}
			if is.rest != nil {
				s.rest = is.rest
			}
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			s.fields[name] = f.Type
		}
	}
	ts.shapes[t] = s
	return s
}

// withServiceDiscovery returns the type that upstream really decodes: where a struct holds service discoveries, it
// is one that has a field for each kind that is linked in. Upstream tells it to whoever decodes.
func withServiceDiscovery(t reflect.Type) reflect.Type {
	for i := range t.NumField() {
		if t.Field(i).Type != reflect.TypeFor[discovery.Configs]() {
			continue
		}
		told := t
		_ = discovery.UnmarshalYAMLWithInlineConfigs(reflect.New(t).Interface(), func(into any) error {
			told = reflect.TypeOf(into).Elem()
			return errors.New("only asking")
		})
		return told
	}
	return t
}
