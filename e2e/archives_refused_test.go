package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsNoArchiveFailsTheBuild(t *testing.T) {
	t.Parallel()
	a := newArchives(t)
	wants := map[string]string{}
	add := func(name, script, want string) {
		a.add(t, name, script, "")
		a.add(t, name+"_anew", "cp "+name+".file $out", `compress = "zstd",`)
		wants[name], wants[name+"_anew"] = want, want
	}
	a.run(t, "good", "tar -cf $out -C in .")
	add("text", "echo hello >$out", "this is text, not a tar archive; to put a single file into an image, use image_layer")
	add("elf", "cp /bin/sh $out", "this is an ELF program or library, not a tar archive")
	add("empty", ": >$out", "this is an empty file, not a tar archive")
	add("page", "echo '<!DOCTYPE html><html>gone</html>' >$out", "this is an HTML page, not a tar archive; if it was downloaded, check the URL: the server sent a page")
	add("zip", "zip -q -r - in >$out", "this is a zip archive, not a tar archive; unpack it, and make a tar archive")
	add("lz4", "lz4 -q <good.file >$out", "this is lz4 data, not a tar archive; compress it with gzip, zstd, xz or bzip2 instead")
	add("lzma", "xz --format=lzma <good.file >$out", "this is lzma data, not a tar archive")
	for _, how := range []string{"gzip", "zstd", "xz", "bzip2"} {
		add(how+"_text", "echo hello | "+how+" -c >$out", "the "+how+" data contain text, not a tar archive")
		add(how+"_cut", how+" -c <good.file >whole; head -c 1000000 whole >$out", "the "+how+" data end too early, after ")
		add(how+"_cut_archive", "head -c 100000 good.file | "+how+" -c >$out", "the archive ends at byte 100000, in the middle of ")
		add(how+"_and_more", how+" -c <good.file >$out; echo garbage, as much as you like >>$out", "other data than "+how+" follow the "+how+" data")
		add(how+"_damaged", how+" -c <good.file >$out; printf 'damaged!!!' | dd of=$out bs=1 seek=200000 conv=notrunc status=none", "the "+how+" data are damaged, after ")
	}
	add("twice", "gzip -c good.file | xz >$out", "the xz data contain gzip data, not a tar archive; it was compressed twice")
	add("xz_dictionary", "xz --lzma2=dict=256MiB <good.file >$out", "unpacking the xz data needs a window of more than 128 MiB")
	add("xz_filter", "xz --x86 --lzma2 <good.file >$out", "the xz data use a filter (xz --x86, --delta and the like)")
	add("zstd_window", "zstd --long=30 -c <good.file >$out", "unpacking the zstd data needs a window of more than 128 MiB")
	add("cut_header", "tar -cf whole -C in etc bin; head -c 700 whole >$out", `the archive ends at byte 700, in the middle of the header after "etc/"`)
	add("cut_content", "head -c 2000000 good.file >$out", "the archive ends at byte 2000000, in the middle of ")
	add("damaged_header", "tar -cf $out -C in etc/config etc/empty; printf X | dd of=$out bs=1 seek=1030 conv=notrunc status=none", `the header after "etc/config", before byte 1536, is damaged`)
	add("two", "gzip -c good.file >$out; gzip -c good.file >>$out", "a second archive follows the first")
	add("disk", "head -c 1080 /dev/zero >$out; printf 'S\\357' >>$out; head -c 3000 /dev/zero >>$out", "it begins with zeros, and other data begin at byte 1024")
	add("leads_out", "tar -P -cf $out in/../../$(basename $PWD)/in/etc/config", "leads out of the image")
	add("itself", "tar -cf $out -C in etc/same etc/same", `"etc/same" is a hard link to itself`)
	add("incremental", "tar --listed-incremental=snapshot -cf $out -C in etc", "is a directory of an incremental archive")
	add("volume", "tar --multi-volume --tape-length=1000 -f first -f $out -f third -f fourth -f fifth -f sixth -c -C in bin", "is the rest of a file from another volume")
	a.add(t, "sparse", "tar --sparse -cf $out -C in var/sparse", "")
	wants["sparse"] = `"var/sparse" is a sparse file in GNU tar's own format, which container engines do not unpack; make the archive without --sparse, or set compress`
	a.add(t, "label", "tar --label=mine -cf $out -C in etc", "")
	wants["label"] = `"mine" is a volume label, which container engines do not unpack; make the archive without --label, or set compress`

	w := a.workspace(t)
	// In the middle of words, a line break or two is Bazel's.
	result := w.TryBazel(t, "build", "--keep_going", "--output_groups=+blob", "//archives/...")
	if result.ExitCode == 0 {
		t.Error("the build is green")
	}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		if want := "drayage: archives/" + name + ".file: "; !strings.Contains(result.Stderr, want) {
			t.Errorf("%s is taken", name)
		} else if _, after, _ := strings.Cut(result.Stderr, want); !strings.Contains(strings.SplitN(after, "\n", 2)[0], wants[name]) {
			t.Errorf("of %s it says\n%s\nwant\n%s", name, strings.SplitN(after, "\n", 2)[0], wants[name])
		}
		if failed := "Writing image layer //archives:" + name + " failed"; !strings.Contains(result.Stderr, failed) {
			t.Errorf("the build does not say: %s", failed)
		}
	}
}
