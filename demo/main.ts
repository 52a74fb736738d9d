console.log("The mode comparison is not written yet.");
