console.log("The verification campaign is not written yet.");
