"""Files of weights, whoever wrote them: reading, writing, finding."""
