package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/image"
)

func TestABaseIsForThePlatformOfTheImage(t *testing.T) {
	for _, row := range []struct {
		base, target string
		fits         bool
	}{
		{`"os":"linux","architecture":"amd64"`, "linux/amd64", true},
		{`"os":"linux","architecture":"arm64"`, "linux/amd64", false},
		{`"os":"linux","architecture":"amd64"`, "linux/arm64", false},
		{`"os":"linux","architecture":"386"`, "linux/amd64", false},
		{`"os":"windows","architecture":"amd64","os.version":"10.0.17763.4377"`, "windows/amd64", true},
		{`"os":"windows","architecture":"amd64"`, "linux/amd64", false},
		{`"os":"linux","architecture":"amd64"`, "windows/amd64", false},
		// Variants.
		{`"os":"linux","architecture":"arm64","variant":"v8"`, "linux/arm64", true},
		{`"os":"linux","architecture":"arm64"`, "linux/arm64/v8", true},
		{`"os":"linux","architecture":"amd64","variant":"v3"`, "linux/amd64", true},
		{`"os":"linux","architecture":"arm","variant":"v7"`, "linux/arm/v7", true},
		{`"os":"linux","architecture":"arm","variant":"v6"`, "linux/arm/v7", true},
		{`"os":"linux","architecture":"arm","variant":"v5"`, "linux/arm/v7", true},
		{`"os":"linux","architecture":"arm"`, "linux/arm/v7", true},
		{`"os":"linux","architecture":"arm","variant":"v8"`, "linux/arm/v7", false},
		{`"os":"linux","architecture":"arm","variant":"v7"`, "linux/arm64", false},
		// What other tools write.
		{`"os":"Linux","architecture":"x86_64"`, "linux/amd64", true},
		{`"os":"linux","architecture":"aarch64"`, "linux/arm64", true},
		{`"os":"linux","architecture":"armhf"`, "linux/arm/v7", true},
		{`"os":"linux"`, "linux/amd64", true},
		{`"architecture":""`, "linux/amd64", true},
	} {
		err := (&image.Base{Config: []byte("{" + row.base + "}")}).CheckPlatform(row.target)
		var mismatch *image.PlatformError
		if row.fits && err != nil || !row.fits && !errors.As(err, &mismatch) {
			t.Errorf("a base {%s} for an image for %s: the error is %v", row.base, row.target, err)
		}
	}
	err := (&image.Base{Config: []byte(`{"os":"linux","architecture":"arm64","variant":"v8"}`)}).CheckPlatform("linux/amd64")
	if want := "the base is for linux/arm64/v8, and the image for linux/amd64"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if err := (&image.Base{Config: []byte(`[]`)}).CheckPlatform("linux/amd64"); err == nil || !strings.Contains(err.Error(), "read config of the base") {
		t.Errorf("the error is %v", err)
	}
}
