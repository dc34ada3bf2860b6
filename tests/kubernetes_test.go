package tests

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// manifest is what the tests need to know of a Kubernetes object, which its
// schema has been held to.
type manifest = map[string]any

// at returns what is at a path of keys; nil where there is nothing.
func at(m manifest, path ...string) any {
	var v any = m
	for _, key := range path {
		inside, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inside[key]
	}
	return v
}

// as returns what is to be a T.
func as[T any](t *testing.T, v any) T {
	t.Helper()
	typed, ok := v.(T)
	require.True(t, ok, "%v is a %T", v, v)
	return typed
}

// kubernetes returns all objects of deploy/kubernetes, the examples of secrets
// among them.
func kubernetes(t *testing.T) []manifest {
	t.Helper()
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml*")
	require.NoError(t, err)
	var all []manifest
	for _, file := range files {
		for _, document := range documents(t, "deploy/kubernetes/"+filepath.Base(file)) {
			all = append(all, document.(manifest))
		}
	}
	return all
}

func object(t *testing.T, all []manifest, kind, name string) manifest {
	t.Helper()
	i := slices.IndexFunc(all, func(m manifest) bool { return m["kind"] == kind && at(m, "metadata", "name") == name })
	require.GreaterOrEqual(t, i, 0, "there is no %s %q", kind, name)
	return all[i]
}

func ofKind(all []manifest, kind string) []manifest {
	return slices.DeleteFunc(slices.Clone(all), func(m manifest) bool { return m["kind"] != kind })
}

// pods returns what makes pods, and the container that each of them has.
func pods(t *testing.T, all []manifest) (makers, containers []manifest) {
	t.Helper()
	makers = slices.Concat(ofKind(all, "Deployment"), ofKind(all, "Job"))
	require.Len(t, makers, 3, "edge, worker, setup")
	for _, m := range makers {
		in := as[[]any](t, at(m, "spec", "template", "spec", "containers"))
		require.Len(t, in, 1)
		containers = append(containers, in[0].(manifest))
	}
	return makers, containers
}

func TestKubernetesSchema(t *testing.T) {
	t.Parallel()
	for _, m := range kubernetes(t) {
		compiled := schema(t, "kubernetes.json", "#/kinds/"+strings.ReplaceAll(m["apiVersion"].(string)+"/"+m["kind"].(string), "/", "~1"))
		require.NoError(t, compiled.Validate(m), "%s %v", m["kind"], at(m, "metadata", "name"))
		if m["kind"] == "Deployment" {
			m["spec"].(manifest)["stratagem"] = true
			require.Error(t, compiled.Validate(m), "the schema finds a key that it does not know")
		}
	}
}

// TestKubernetesSelectors sees that what selects pods finds some, for Kubernetes
// is content with none.
func TestKubernetesSelectors(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	makers, _ := pods(t, all)
	found := func(selector any) bool {
		return slices.ContainsFunc(makers, func(m manifest) bool {
			for key, value := range selector.(manifest) {
				if at(m, "spec", "template", "metadata", "labels", key) != value {
					return false
				}
			}
			return true
		})
	}
	for _, m := range all {
		require.Equal(t, "hookyard", orName(m), "%s: all is in one namespace", m["kind"])
		switch m["kind"] {
		case "Deployment", "PodDisruptionBudget":
			require.True(t, found(at(m, "spec", "selector", "matchLabels")), at(m, "metadata", "name"))
		case "Service":
			require.True(t, found(at(m, "spec", "selector")), at(m, "metadata", "name"))
		case "NetworkPolicy":
			if labels := at(m, "spec", "podSelector", "matchLabels"); labels != nil {
				require.True(t, found(labels), at(m, "metadata", "name"))
			}
		case "HorizontalPodAutoscaler":
			object(t, all, at(m, "spec", "scaleTargetRef", "kind").(string), at(m, "spec", "scaleTargetRef", "name").(string))
		}
	}
	for _, name := range []string{"hookyard-edge", "hookyard-worker"} {
		object(t, all, "HorizontalPodAutoscaler", name)
		object(t, all, "PodDisruptionBudget", name)
		object(t, all, "NetworkPolicy", name)
		require.Nil(t, at(object(t, all, "Deployment", name), "spec", "replicas"), "each apply would undo what the autoscaler did")
	}
	require.Empty(t, cmp.Diff([]any{"Ingress", "Egress"}, at(object(t, all, "NetworkPolicy", "nothing"), "spec", "policyTypes")))
}

// orName is the namespace that an object is in, or its own name.
func orName(m manifest) any {
	if namespace := at(m, "metadata", "namespace"); namespace != nil {
		return namespace
	}
	return at(m, "metadata", "name")
}

// TestKubernetesProbes sees that a pod is started anew for what that mends, and
// gets deliveries when it can store them.
func TestKubernetesProbes(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	makers, containers := pods(t, all)
	for i, c := range containers {
		if makers[i]["kind"] == "Job" {
			continue
		}
		ports := map[any]any{}
		for _, port := range as[[]any](t, c["ports"]) {
			ports[at(port.(manifest), "name")] = at(port.(manifest), "containerPort")
		}
		require.Equal(t, json.Number("8081"), ports["admin"], "as in the config")
		require.Equal(t, "8081", at(makers[i], "spec", "template", "metadata", "annotations", "prometheus.io/port"))
		for probe, path := range map[string]string{"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"} {
			require.Empty(t, cmp.Diff(manifest{"path": path, "port": "admin"}, at(c, probe, "httpGet")), probe)
		}
	}
	service := object(t, all, "Service", "hookyard-edge")
	in := as[[]any](t, at(service, "spec", "ports"))
	require.Len(t, in, 1, "the admin port is nobody's business")
	require.Equal(t, "http", at(in[0].(manifest), "targetPort"))
}

// TestKubernetesRights sees that a pod can write nothing, be nobody else and
// tell Kubernetes nothing.
func TestKubernetesRights(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	makers, containers := pods(t, all)
	for i, c := range containers {
		require.Equal(t, true, at(c, "securityContext", "readOnlyRootFilesystem"))
		require.Equal(t, false, at(c, "securityContext", "allowPrivilegeEscalation"))
		require.Empty(t, cmp.Diff([]any{"ALL"}, at(c, "securityContext", "capabilities", "drop")))
		require.NotNil(t, at(c, "resources", "limits", "memory"))
		pod := at(makers[i], "spec", "template", "spec").(manifest)
		require.Equal(t, true, at(pod, "securityContext", "runAsNonRoot"))
		require.Equal(t, json.Number("65532"), at(pod, "securityContext", "runAsUser"), "as in the Dockerfile")
		require.Equal(t, "RuntimeDefault", at(pod, "securityContext", "seccompProfile", "type"))
		require.Equal(t, false, pod["automountServiceAccountToken"])
		object(t, all, "ServiceAccount", pod["serviceAccountName"].(string))
	}
	require.Equal(t, "restricted", at(object(t, all, "Namespace", "hookyard"), "metadata", "labels", "pod-security.kubernetes.io/enforce"))
}

// TestKubernetesReferences sees that what a pod mounts and reads is there, and
// that applying the folder does not overwrite a secret with an example.
func TestKubernetesReferences(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	makers, containers := pods(t, all)
	for i, c := range containers {
		for _, from := range as[[]any](t, c["envFrom"]) {
			if name := at(from.(manifest), "configMapRef", "name"); name != nil {
				object(t, all, "ConfigMap", name.(string))
			} else {
				object(t, all, "Secret", at(from.(manifest), "secretRef", "name").(string))
			}
		}
		volumes, _ := at(makers[i], "spec", "template", "spec", "volumes").([]any)
		for _, v := range volumes {
			if name := at(v.(manifest), "configMap", "name"); name != nil {
				object(t, all, "ConfigMap", name.(string))
			} else {
				object(t, all, "Secret", at(v.(manifest), "secret", "secretName").(string))
			}
		}
	}
	for name := range object(t, all, "Secret", "hookyard")["stringData"].(manifest) {
		require.Contains(t, secretFiles(t), name)
	}
	require.Len(t, object(t, all, "Secret", "hookyard")["stringData"], len(secretFiles(t)))
	applied, err := filepath.Glob("../deploy/kubernetes/*secret*.y*ml")
	require.NoError(t, err)
	require.Empty(t, applied)
}
