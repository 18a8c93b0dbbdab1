// Command none does not compile.
package main

func main() { nothing() }
