"""Pictures of test cases: which, in which plane, image and contours, in words."""
