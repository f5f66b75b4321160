package silencing

import (
	"bytes"
	"encoding/json"
)

// object is a part of a JSON Schema.
type object = map[string]any

// Schema returns the JSON Schema (draft 2020-12) of silences.yaml, for editors.
// It says what can be said of each field and of which go together; what takes a
// calendar, another rule or a look at what matchers mean is left to [Parse],
// which refuses all that the schema refuses.
func Schema() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema()); err != nil {
		panic(err) // plain data
	}
	return b.Bytes()
}

func schema() object {
	const (
		instant  = `^\d{4}-\d{2}-\d{2}T\d{1,2}:\d{2}:\d{2}([.,]0+)?(Z|[+-]\d{2}:\d{2})$`
		duration = `^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$`
	)
	words := func(description string) object {
		return object{
			"type": "string", "description": description, "pattern": `\S`, "maxLength": maxComment,
			"not": object{"pattern": `\[stoker:`},
		}
	}
	timeOf := func(description string) object {
		return object{"type": "string", "description": description, "pattern": instant}
	}
	has := func(fields ...string) object { return object{"required": fields} }
	properties := object{
		"name": object{
			"type": "string", "pattern": "^[a-z0-9-]{1,63}$",
			"description": "Tells the rule from all others of the file. Part of the mark on its silences.",
		},
		"matchers": object{
			"type": "array", "minItems": 1,
			"items": object{"type": "string", "minLength": 1},
			"description": "All have to match an alert, as in alertmanager.yml: alertname=\"DiskFull\", instance=~\"db-.+\", severity!=\"critical\". " +
				"One must name what is silenced.",
		},
		"starts_at": timeOf("When the silence begins, with an offset: 2026-12-01T02:00:00+09:00. Without it: at once."),
		"ends_at":   timeOf("When the silence ends, at most 30 days after its start; with a schedule, when the rule itself ends, within a year."),
		"duration": object{
			"type": "string", "pattern": duration, "minLength": 1,
			"description": "How long a silence lasts, like 90m, 2h or 3d, at most 30d: with a schedule, or after starts_at instead of ends_at.",
		},
		"schedule": object{
			"type": "string", "pattern": `^\s*(\S+\s+){4}\S+\s*$`, "not": object{"pattern": "TZ="},
			"description": "When a silence begins again and again: minute, hour, day of the month, month, day of the week, as cron has them, on the clock of the location.",
		},
		"location":   object{"type": "string", "minLength": 1, "not": object{"const": "Local"}, "description": "The time zone of the schedule, like Europe/Berlin or UTC."},
		"created_by": words("Who wants it. Shown in the comment of the silence."),
		"comment":    words("Why. Shown to everybody who meets the silence."),
		"allow_critical": object{
			"type": "boolean", "default": false,
			"description": "Says that silencing severity=\"critical\" is meant, by a matcher or by the lack of one.",
		},
		"on_manual_expire": object{
			"enum": []string{"respect", "recreate"}, "default": "respect",
			"description": "What happens when a person ends the silence early: it stays ended until its rule is edited, or is made again.",
		},
	}
	rule := object{
		"type": "object", "additionalProperties": false, "properties": properties,
		"required": []string{"name", "matchers", "comment"},
		"if":       has("schedule"),
		"then": object{
			"required": []string{"duration", "location", "ends_at"},
			"not":      has("starts_at"),
		},
		"else": object{
			"not": has("location"),
			"anyOf": []object{
				{"required": []string{"ends_at"}, "not": has("duration")},
				{"required": []string{"starts_at", "duration"}, "not": has("ends_at")},
			},
		},
	}
	return object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "silences.yaml",
		"description":          "The silences that stoker keeps in Alertmanager.",
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"silences"},
		"properties": object{
			"silences": object{
				"type": "array", "items": rule,
				"description": "The rules. Write [] for none.",
			},
		},
	}
}
