console.log("The benchmarks are not written yet.");
