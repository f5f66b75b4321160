package reload

import (
	"path"
	"reflect"
	"strings"
)

// marker stands for the release's folder while a configuration is searched for paths: upstream's own
// SetDirectory puts it before every relative path, so no list of the keys that hold paths is needed here
// and none can be forgotten. It is two levels deep, so that a path that climbs out is recognised too.
const (
	markerParent = "/\u2063stoker"
	marker       = markerParent + "/release"
)

// directorySetter is what every upstream configuration section with paths in it implements.
type directorySetter interface{ SetDirectory(string) }

// setDirectories calls SetDirectory on every part of a configuration that has it.
func setDirectories(cfg any) {
	walkValues(reflect.ValueOf(cfg), func(v reflect.Value) {
		if v.Kind() == reflect.Pointer && v.CanInterface() {
			if s, ok := v.Interface().(directorySetter); ok {
				s.SetDirectory(marker)
			}
		}
	})
}

// relativePaths returns every relative path that a configuration mentions, after setDirectories or upstream's
// own SetDirectory(marker): slash-separated, cleaned, perhaps a pattern, perhaps climbing out by "..".
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
	if rest, ok := strings.CutPrefix(p, marker+"/"); ok {
		return rest, true
	}
	if rest, ok := strings.CutPrefix(p, markerParent+"/"); ok {
		return path.Join("..", rest), true
	}
	return "", false
}

// walkValues visits every value that is reachable through exported fields, once a pointer.
func walkValues(v reflect.Value, visit func(reflect.Value)) {
	seen := map[uintptr]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
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
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
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
	walk(v)
}
