package image

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// createdBy is what the history says of a layer.
const createdBy = "drayage"

// ofBase is what it says of a layer that the base's own says nothing of.
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

// squareHistory makes the base's history tell of as many layers as there are: who
// reads a history counts them off against the layers, and ours come next. Lines
// that tell of more are said to be of none, from the top down, and those that are
// missing are added, as BuildKit does.
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
