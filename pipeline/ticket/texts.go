package ticket

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// mostTemplate is how long a description_file may be, in bytes.
const mostTemplate = 1 << 20

// ReadFile reads a description_file. It ends where the file does not, as a device: a longer one is an error.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostTemplate+1))
	if err == nil && len(b) > mostTemplate {
		return nil, fmt.Errorf("%s is longer than %d KiB", path, mostTemplate>>10)
	}
	return b, err
}

// Texts name the templates that replace docket's own texts. The zero value replaces none.
type Texts struct {
	Title           string `yaml:"title"`            // one line
	DescriptionFile string `yaml:"description_file"` // a file in the sink's markup; relative to the configuration file
}

// Over are the texts of a ticket whose team or route has its own: what its settings say under
// templates, else the sink's. The error begins with the key.
func (x Texts) Over(settings map[string]any) (Texts, error) {
	raw, given := settings["templates"]
	if !given {
		return x, nil
	}
	m, ok := raw.(map[string]any)
	if !ok {
		return x, errors.New("templates: wants title and description_file")
	}
	for key, v := range m {
		text, ok := v.(string)
		switch {
		case !ok:
			return x, fmt.Errorf("templates.%s: wants a text", key)
		case key == "title":
			x.Title = text
		case key == "description_file":
			x.DescriptionFile = text
		default:
			return x, fmt.Errorf("templates.%s: there are title and description_file", key)
		}
	}
	return x, nil
}
