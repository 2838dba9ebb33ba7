// Command docket turns security findings into the right ticket, once.
package main

func main() {}
