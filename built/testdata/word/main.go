// Command word says its word.
package main

import "os"

var word = "plain"

func main() { os.Stdout.WriteString(word) }
