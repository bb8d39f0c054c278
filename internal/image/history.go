package image

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// createdBy is the history's name for what made a layer.
const createdBy = "drayage"

// ofBase is the history's comment on a base's layer that the base's history lacks.
const ofBase = "a layer of the base"

// ownHistory is the line of a layer that was added.
func ownHistory(created jsontext.Value) object {
	var line object
	if created != nil {
		line.put("created", created)
	}
	line.put("created_by", jsontext.Value(`"`+createdBy+`"`))
	return line
}

// history is the config's, a line an object.
func (d *draft) history() ([]object, error) {
	list, err := readList(d.config.get("history"))
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	history := make([]object, len(list))
	for i, line := range list {
		if line.Kind() == jsontext.KindNull {
			line = jsontext.Value("{}")
		}
		if history[i], err = readObject(line); err != nil {
			return nil, fmt.Errorf("history, line %d: %w", i+1, err)
		}
	}
	return history, nil
}

// squareHistory gives the base's history one line for each layer of the base.
// Readers count the lines off against the layers, and the lines of our layers come
// next. Lines too many are marked as empty layers, and missing lines are added, as
// BuildKit does.
func (d *draft) squareHistory(layers int) error {
	history, err := d.history()
	if err != nil {
		return err
	}
	told, changed := 0, false
	for i := range history {
		if string(history[i].get("empty_layer")) == "true" {
			continue
		}
		if told == layers {
			history[i].put("empty_layer", jsontext.Value("true"))
			changed = true
			continue
		}
		told++
	}
	for ; told < layers; told++ {
		line := object{{"comment", jsontext.Value(`"` + ofBase + `"`)}}
		history, changed = append(history, line), true
	}
	if !changed {
		return nil
	}
	return d.config.set("history", history)
}
