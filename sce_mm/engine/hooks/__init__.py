"""What happens at fixed points of a run, beside the training steps?"""
