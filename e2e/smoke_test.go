package e2e_test

import (
	"path/filepath"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// laterBazels are flags of Bazel 7.7 that do what Bazel 8 and 9 do without being
// asked, or what they may come to do: docs/compatibility.md says which is which.
var laterBazels = []string{
	"--incompatible_auto_exec_groups",
	"--incompatible_check_visibility_for_toolchains",
	"--incompatible_config_setting_private_default_visibility",
	"--incompatible_disable_native_android_rules",
	"--incompatible_disable_native_repo_rules",
	"--incompatible_disable_target_provider_fields",
	"--incompatible_disallow_empty_glob",
	"--incompatible_disallow_struct_provider_syntax",
	"--incompatible_enable_proto_toolchain_resolution",
	"--incompatible_modify_execution_info_additive",
	"--incompatible_no_implicit_file_export",
	"--incompatible_no_implicit_watch_label",
	"--incompatible_python_disallow_native_rules",
	"--incompatible_strict_action_env",
	"--incompatible_top_level_aspects_require_providers",
	"--incompatible_use_plus_in_repo_names",
}

// TestTheSmokeModulePasses does what the Bazel Central Registry's presubmit does,
// and does it once more with what later versions of Bazel changed.
func TestTheSmokeModulePasses(t *testing.T) {
	t.Parallel()
	w := rig.CopyWorkspace(t, filepath.Join(rig.Root(t), "e2e", "smoke"))
	test := func(flags ...string) {
		w.Bazel(t, "test", append(flags, "--test_output=errors", "//...")...)
		w.Bazel(t, "build", append(flags, "//...", "@drayage//rules:all", "@drayage//rules/settings:all")...)
	}
	test()
	test(laterBazels...)
}
