package protocol

// BinaryReplyMagic is the first byte of every binary answer.
const BinaryReplyMagic = 0x81
