// Package javastream has the numbers of Java's serialized objects, as chapter 6 of the
// Java Object Serialization Specification names them.
package javastream

// The bytes that begin the elements of a stream.
const (
	TCNull           = 0x70
	TCReference      = 0x71
	TCClassDesc      = 0x72
	TCObject         = 0x73
	TCString         = 0x74
	TCArray          = 0x75
	TCClass          = 0x76
	TCBlockData      = 0x77
	TCEndBlockData   = 0x78
	TCReset          = 0x79
	TCBlockDataLong  = 0x7a
	TCLongString     = 0x7c
	TCProxyClassDesc = 0x7d
	TCEnum           = 0x7e
)

// BaseWireHandle is the number of the first element that references can mean.
const BaseWireHandle = 0x7e0000

// The flags of a class description.
const (
	SCWriteMethod    = 0x01
	SCSerializable   = 0x02
	SCExternalizable = 0x04
	SCBlockData      = 0x08
)
