package operator

// Paths of the API.
const (
	LedgerPath      = "/api/v1/ledger"
	InvocationsPath = "/api/v1/invocations"
	InvocationPath  = InvocationsPath + "/" // and the invocation's id
	ExpectedSuffix  = "/expected"           // after the invocation's id
	ComparePath     = "/api/v1/compare"
	CheckpointPath  = "/api/v1/log/checkpoint"
	LogKeyPath      = "/api/v1/log/key"
	VerifyPath      = "/api/v1/log/verify"
	ProofsPath      = "/api/v1/proofs"
	JobsPath        = "/api/v1/jobs"
	CancelPath      = JobsPath + "/cancel"
	RetryPath       = JobsPath + "/retry"
	RequeuePath     = JobsPath + "/requeue"
	PromotePath     = "/api/v1/releases/promote"
	RejectPath      = "/api/v1/releases/reject"
	RollbackPath    = "/api/v1/releases/rollback"
	FencesPath      = "/api/v1/fences"
	LiftPath        = FencesPath + "/lift"
	CopiesPath      = "/api/v1/copies"
	DeadLettersPath = "/api/v1/webhooks/dead"
	RedeliverPath   = "/api/v1/webhooks/redeliver"
	OpenAPIPath     = "/api/v1/openapi.json"
)

// MaxBody bounds the body of a request, in bytes.
const MaxBody = 1 << 20
