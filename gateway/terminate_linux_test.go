package gateway_test

// sessionsAreFollowed says that a killed agent takes along what its handlers have put into other
// process groups.
const sessionsAreFollowed = true
