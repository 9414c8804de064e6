package review

// maxVerdicts bounds the verdicts that figures are computed from.
const maxVerdicts = 100_000
