"""Files of weights, whoever wrote them: read, write and find them safely."""
