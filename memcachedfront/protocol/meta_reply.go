package protocol

// Codes that begin the answers to meta commands.
const (
	MetaMiss      = "EN\r\n"
	MetaNoopReply = "MN\r\n"
)
