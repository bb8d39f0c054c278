// Package e2e_test holds the scenarios that show that Drayage works: real Bazel,
// a real remote cache, real registries, and drayaged as it is shipped. Package
// rig starts them.
package e2e_test
