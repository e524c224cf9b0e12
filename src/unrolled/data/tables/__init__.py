"""Tables: from a file to series of numbers and labels. What is understood is said; what can be understood in several
ways is asked for by the name of an option."""
