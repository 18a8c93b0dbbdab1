package torture

const victimEnv = "CAIRN_TORTURE_VICTIM"

func victimMain(string) int { return 2 }
