"""Methods of others that figures and benchmarks compare with, where no library has them."""
