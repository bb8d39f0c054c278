// Package storetest exercises a store on a kind of database: what every driver
// must do, said through the store's exported methods alone.
package storetest

import (
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// Exercise runs the store's behaviour tests on one kind of database.
func Exercise(t *testing.T, driver sqldbtest.Driver) {
	exercise(t, driver, []behaviour{
		{"jobs end in the ledger", jobsEndInTheLedger},
		{"a start that is called off is no failure", aStartThatIsCalledOffIsNoFailure},
		{"the same job is done once", theSameJobIsDoneOnce},
		{"specs that come with the stream are kept", specsThatComeWithTheStreamAreKept},
		{"a failed attempt is tried again", aFailedAttemptIsTriedAgain},
		{"failures are counted by their class", failuresAreCountedByTheirClass},
		{"a retry comes no sooner than asked", aRetryComesNoSoonerThanAsked},
		{"the postponed attempt does not count", thePostponedAttemptDoesNotCount},
		{"the last attempt ends in a row whatever the worker does", theLastAttemptEndsInARowWhateverTheWorkerDoes},
		{"an attempt that takes too long is a failure", anAttemptThatTakesTooLongIsAFailure},
		{"a drain lets jobs finish", aDrainLetsJobsFinish},
		{"a drain gives back what does not finish", aDrainGivesBackWhatDoesNotFinish},
		{"urgent jobs go first", urgentJobsGoFirst},
		{"a decode that ends takes the marks of its job away", aDecodeThatEndsTakesTheMarksOfItsJobAway},

		{"a job that waits is cancelled at once", aJobThatWaitsIsCancelledAtOnce},
		{"a job that runs is cancelled by its context", aJobThatRunsIsCancelledByItsContext},
		{"a job that waits for its next attempt can be hurried", aJobThatWaitsForItsNextAttemptCanBeHurried},
		{"a push that ended badly is requeued as another job", aPushThatEndedBadlyIsRequeuedAsAnotherJob},
		{"jobs that have not ended are listed", jobsThatHaveNotEndedAreListed},

		{"jobs that wait for a registry are woken when it opens", jobsThatWaitForARegistryAreWokenWhenItOpens},
		{"what operators say of a registry is kept", whatOperatorsSayOfARegistryIsKept},

		{"the first that claims an invocation has it", theFirstThatClaimsAnInvocationHasIt},
		{"of streams that begin at the same moment one has the invocation", ofStreamsThatBeginAtTheSameMomentOneHasTheInvocation},
		{"an invocation of an earlier release keeps its owner", anInvocationOfAnEarlierReleaseKeepsItsOwner},
		{"a client that has had its share gets no more", aClientThatHasHadItsShareGetsNoMore},
		{"large metadata comes with every row", largeMetadataComesWithEveryRow},
		{"invocations are merged", invocationsAreMerged},
		{"what is merged of an invocation is bounded", whatIsMergedOfAnInvocationIsBounded},
		{"invocations are listed by page", invocationsAreListedByPage},
		{"what is remembered is kept until the stream has ended", whatIsRememberedIsKeptUntilTheStreamHasEnded},
		{"what is missing shows", whatIsMissingShows},
		{"a target is awaited until it is known what came of it", aTargetIsAwaitedUntilItIsKnownWhatCameOfIt},
		{"a target of unknown kind is missing if it has pushed before", aTargetOfUnknownKindIsMissingIfItHasPushedBefore},
		{"a stream that no daemon has is broken off until it comes back", aStreamThatNoDaemonHasIsBrokenOffUntilItComesBack},
		{"a stream that another daemon has goes on", aStreamThatAnotherDaemonHasGoesOn},
		{"a stream of a daemon that died is broken off", aStreamOfADaemonThatDiedIsBrokenOff},
		{"two invocations are compared", twoInvocationsAreCompared},

		{"each kind of query finds its rows", queries},
		{"a beginning is enough if it is one row's", aBeginningIsEnoughIfItIsOneRows},
		{"pages do not shift when rows are added", pagesDoNotShiftWhenRowsAreAdded},
		{"a row says the exit code that became known later", aRowSaysTheExitCodeThatBecameKnownLater},
		{"the run seals what it does", theRunSealsWhatItDoes},
		{"every outcome is told once", everyOutcomeIsToldOnce},
		{"an invocation is told of once when it is complete", anInvocationIsToldOfOnceWhenItIsComplete},
		{"what is done again is told of again", whatIsDoneAgainIsToldOfAgain},
		{"an invocation at a gate is told of when its tags are decided", anInvocationAtAGateIsToldOfWhenItsTagsAreDecided},
		{"a stream that broke off is told of", aStreamThatBrokeOffIsToldOf},
		{"drift is told of where it is wanted", driftIsToldOfWhereItIsWanted},
		{"a backup made in full run is whole", aBackupMadeInFullRunIsWhole},

		{"an older build leaves a newer one's tag alone", anOlderBuildLeavesANewerOnesTagAlone},
		{"a build that failed supersedes nothing", aBuildThatFailedSupersedesNothing},
		{"a lease ends with its time", aLeaseEndsWithItsTime},
		{"the same digest is never superseded", theSameDigestIsNeverSuperseded},
		{"of two targets that want one tag the first label has it whichever comes first", ofTwoTargetsThatWantOneTagTheFirstLabelHasItWhicheverComesFirst},
		{"a tag ends up at one image in whatever order its targets come", aTagEndsUpAtOneImageInWhateverOrderItsTargetsCome},
		{"two targets of one image share a tag and other builds are no conflict", twoTargetsOfOneImageShareATagAndOtherBuildsAreNoConflict},
		{"a target that loses a tag gets no other", aTargetThatLosesATagGetsNoOther},
		{"a tag that is being written is waited for by the other target", aTagThatIsBeingWrittenIsWaitedForByTheOtherTarget},

		{"a blob is one daemon's to upload", aBlobIsOneDaemonsToUpload},
		{"a claim that nobody renews ends with its lease", aClaimThatNobodyRenewsEndsWithItsLease},
		{"a claim is renewed while its holder gets on", aClaimIsRenewedWhileItsHolderGetsOn},
		{"a lease of tags is renewed while its run lasts", aLeaseOfTagsIsRenewedWhileItsRunLasts},
		{"who waits for a tag hears when its holder ends", whoWaitsForATagHearsWhenItsHolderEnds},
		{"a daemon that is alone is granted everything", aDaemonThatIsAloneIsGrantedEverything},
	})
	exercise(t, driver, releases())
	exercise(t, driver, fences())
}

// behaviour is something that a store does on every kind of database.
type behaviour struct {
	name string
	test func(t *testing.T, driver sqldbtest.Driver)
}

func exercise(t *testing.T, driver sqldbtest.Driver, list []behaviour) {
	t.Helper()
	for _, b := range list {
		t.Run(b.name, func(t *testing.T) { b.test(t, driver) })
	}
}
